-- CRM accounts in canonical form: owner, first contact, and the crosswalk to the ERP that the account carries.
-- A missing phone is filled from the primary contact, then from the last call or e-mail (REQUIREMENTS: contact
-- filled from interaction history). The account type says whether it is a person; a missing or unknown one does not.
with accounts as (

    {{ newest_version(source('crm', 'accounts'), ['account_id'], 'modified_at') }}

),

owners as (

    {{ newest_version(source('crm', 'owners'), ['owner_id'], 'modified_at') }}

),

contacts as (

    {{ newest_version(source('crm', 'contacts'), ['contact_id'], 'modified_at') }}

),

interactions as (

    {{ newest_version(source('crm', 'interactions'), ['interaction_id'], 'occurred_at') }}

),

first_contacts as (

    select
        account_id,
        contact_name,
        phone,
        email,
        row_number() over (partition by account_id order by is_primary desc, contact_id asc) as contact_rank
    from contacts

),

last_callers as (

    select
        account_id,
        contact_phone,
        row_number() over (partition by account_id order by occurred_at desc, interaction_id desc) as caller_rank
    from interactions
    where contact_phone is not null

),

renamed as (

    select
        accounts.account_id as source_customer_id,
        trim(accounts.account_name) as customer_name,
        trim({{ half_width('accounts.industry') }}) as industry,
        accounts.company_size,
        accounts.region,
        owners.owner_name,
        first_contacts.contact_name,
        {{ normalise_phone('coalesce(accounts.phone, first_contacts.phone, last_callers.contact_phone)') }} as phone,
        lower(trim(coalesce(accounts.email, first_contacts.email))) as email,
        accounts.tax_id,
        case
            when
                lower(trim(accounts.account_type)) in (
                    '个人', '个人客户', '自然人', 'consumer', 'individual', 'personal'
                )
                then 'consumer'
            when
                lower(trim(accounts.account_type)) in ('企业', '企业客户', '公司', 'business', 'company')
                then 'business'
        end as customer_kind,
        {{ parse_date('accounts.created_at') }} as registered_on,
        case when accounts.erp_customer_code is not null then 'erp' end as linked_source,
        accounts.erp_customer_code as linked_customer_id
    from accounts
    left join owners
        on accounts.owner_id = owners.owner_id
    left join first_contacts
        on
            accounts.account_id = first_contacts.account_id
            and first_contacts.contact_rank = 1
    left join last_callers
        on
            accounts.account_id = last_callers.account_id
            and last_callers.caller_rank = 1
    where coalesce(accounts.is_deleted, '0') <> '1'

)

select
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
from renamed
