-- Every source's record of a customer, one row per source and source id. A missing phone is filled from the first
-- contact, then from the last call or e-mail; the account manager's name comes from the list of account managers where
-- the customer only has the id. Who buys without being in a list of customers is known by his orders.
with customers as (

    select * from {{ ref('stg_customers') }}

),

owners as (

    select * from {{ ref('stg_owners') }}

),

first_contacts as (

    select
        *,
        row_number() over (
            partition by customer_source, source_customer_id
            order by is_primary desc nulls last, contact_id asc
        ) as contact_rank
    from {{ ref('stg_contacts') }}

),

last_callers as (

    select
        *,
        row_number() over (
            partition by customer_source, source_customer_id
            order by occurred_at desc, interaction_id desc
        ) as caller_rank
    from {{ ref('stg_interactions') }}
    where contact_phone is not null

),

listed as (

    select
        customers.source,
        customers.source_customer_id,
        customers.customer_name,
        customers.industry,
        customers.company_size,
        customers.region,
        coalesce(owners.owner_name, customers.owner_name) as owner_name,
        coalesce(first_contacts.contact_name, customers.contact_name) as contact_name,
        coalesce(customers.phone, first_contacts.phone, last_callers.contact_phone) as phone,
        coalesce(customers.email, first_contacts.email) as email,
        customers.tax_id,
        customers.customer_kind,
        customers.registered_on,
        case when customers.linked_customer_id is not null then customers.linked_source end as linked_source,
        customers.linked_customer_id
    from customers
    left join owners
        on
            customers.source = owners.source
            and customers.owner_id = owners.owner_id
    left join first_contacts
        on
            customers.source = first_contacts.customer_source
            and customers.source_customer_id = first_contacts.source_customer_id
            and first_contacts.contact_rank = 1
    left join last_callers
        on
            customers.source = last_callers.customer_source
            and customers.source_customer_id = last_callers.source_customer_id
            and last_callers.caller_rank = 1

),

bought as (

    select
        source,
        source_customer_id,
        customer_source,
        customer_name,
        region,
        ordered_on,
        order_id,
        '' as line_id
    from {{ ref('stg_orders') }}
    union all
    select
        source,
        source_customer_id,
        customer_source,
        customer_name,
        region,
        ordered_on,
        order_id,
        line_id
    from {{ ref('stg_order_lines') }}
    where source_customer_id is not null

),

buyers as (

    select
        source,
        source_customer_id,
        customer_name,
        region,
        min(ordered_on) over (partition by source, source_customer_id) as registered_on,
        row_number() over (
            partition by source, source_customer_id
            order by ordered_on desc, order_id desc, line_id desc
        ) as purchase_rank
    from bought
    where
        customer_source = source
        and source not in (
            select mapped.source from {{ source('pipeline', 'input_tables') }} as mapped
            where mapped.input_table = 'customers'
        )

)

select
    source,
    source_customer_id,
    customer_name,
    industry,
    company_size,
    region,
    owner_name,
    contact_name,
    phone,
    email,
    tax_id,
    customer_kind,
    registered_on,
    linked_source,
    linked_customer_id
from listed
union all
select
    source,
    source_customer_id,
    coalesce(customer_name, 'Customer ' || source_customer_id) as customer_name,
    cast(null as varchar) as industry,
    cast(null as varchar) as company_size,
    region,
    cast(null as varchar) as owner_name,
    cast(null as varchar) as contact_name,
    cast(null as varchar) as phone,
    cast(null as varchar) as email,
    cast(null as varchar) as tax_id,
    cast(null as varchar) as customer_kind,
    registered_on,
    cast(null as varchar) as linked_source,
    cast(null as varchar) as linked_customer_id
from buyers
where purchase_rank = 1
