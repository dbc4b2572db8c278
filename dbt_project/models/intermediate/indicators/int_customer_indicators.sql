-- Every indicator, wide: one row per customer and as-of date. A missing input stays null, never 0.
with customers as (

    select * from {{ ref('int_customer_as_of') }}

),

orders as (

    select * from {{ ref('int_indicators_orders') }}

),

categories as (

    select * from {{ ref('int_indicators_categories') }}

),

payments as (

    select * from {{ ref('int_indicators_payments') }}

),

service as (

    select * from {{ ref('int_indicators_service') }}

),

engagement as (

    select * from {{ ref('int_indicators_engagement') }}

),

products as (

    select * from {{ ref('int_indicators_products') }}

),

activity as (

    select * from {{ ref('int_indicators_activity') }}

),

churn as (

    select * from {{ ref('int_indicators_churn_rate') }}

),

attributes as (

    select * from {{ ref('int_customers') }}

),

as_of_dates as (

    select * from {{ ref('int_as_of_dates') }}

),

strategic as (

    select * from {{ ref('int_strategic_attributes') }}

)

select
    customers.customer_id,
    customers.as_of_date,
    orders.annual_spend,
    orders.annual_spend_status,
    orders.cumulative_spend,
    orders.average_order_value,
    orders.order_frequency,
    orders.recency_days,
    orders.profit_contribution,
    orders.profit_margin,
    orders.tenure_years,
    orders.is_repeat_buyer,
    case
        when categories.cross_buy_rate is not null then categories.cross_buy_rate
        when orders.annual_spend_status in ('measured', 'partial') then 0
    end as cross_buy_rate,
    case
        when categories.product_diversity is not null then categories.product_diversity
        when orders.annual_spend_status in ('measured', 'partial') then 0
    end as product_diversity,
    categories.preferred_category,
    payments.on_time_payment_rate,
    payments.average_days_overdue,
    service.csat,
    service.nps,
    service.complaints,
    service.first_response_hours,
    service.resolution_hours,
    engagement.interaction_rate,
    strategic.industry_rank,
    strategic.industry_growth,
    strategic.size_growth,
    strategic.demand_match,
    strategic.assets,
    strategic.industry_fit,
    strategic.digital_demand,
    strategic.strategic_level,
    attributes.company_size,
    churn.churn_rate,
    case
        when activity.orders_12m is not null then activity.orders_12m
        when orders.annual_spend_status in ('measured', 'partial') then 0
    end as orders_12m,
    case
        when activity.active_days_90d is not null then activity.active_days_90d
        when orders.annual_spend_status in ('measured', 'partial') then 0
    end as active_days_90d,
    case
        when activity.orders_90d is not null then activity.orders_90d
        when orders.annual_spend_status in ('measured', 'partial') then 0
    end as orders_90d,
    case
        when products.products_held is not null then products.products_held
        when orders.order_frequency is not null then 0
    end as products_held,
    cast(orders.annual_spend * as_of_dates.expected_years as decimal(18, 2)) as lifetime_value
from customers
inner join as_of_dates
    on customers.as_of_date = as_of_dates.as_of_date
inner join attributes
    on customers.customer_id = attributes.customer_id
inner join orders
    on
        customers.customer_id = orders.customer_id
        and customers.as_of_date = orders.as_of_date
left join categories
    on
        customers.customer_id = categories.customer_id
        and customers.as_of_date = categories.as_of_date
left join payments
    on
        customers.customer_id = payments.customer_id
        and customers.as_of_date = payments.as_of_date
left join service
    on
        customers.customer_id = service.customer_id
        and customers.as_of_date = service.as_of_date
left join engagement
    on
        customers.customer_id = engagement.customer_id
        and customers.as_of_date = engagement.as_of_date
left join activity
    on
        customers.customer_id = activity.customer_id
        and customers.as_of_date = activity.as_of_date
left join products
    on
        customers.customer_id = products.customer_id
        and customers.as_of_date = products.as_of_date
left join churn
    on
        customers.customer_id = churn.customer_id
        and customers.as_of_date = churn.as_of_date
left join strategic
    on
        customers.customer_id = strategic.customer_id
        and customers.as_of_date = strategic.as_of_date
